-- KEYS: the list, the set of batches. Returns every record.
local records = redis.call('LRANGE', KEYS[1], 0, -1)
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  for _, record in ipairs(redis.call('LRANGE', KEYS[2] .. ':' .. id, 0, -1)) do
    records[#records + 1] = record
  end
end
return records
