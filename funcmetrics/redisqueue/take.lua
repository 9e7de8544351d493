-- KEYS: the list, the set of batches. ARGV: limit, lease in ms, a new batch's id.
-- Returns the batch's id and its records, or nothing. The time is Redis' own,
-- so that savers need not agree on one.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local id = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1)[1]
local records
if id then
  records = redis.call('LRANGE', KEYS[2] .. ':' .. id, 0, -1)
else
  id = ARGV[3]
  records = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)
  if #records == 0 then
    return {}
  end
  redis.call('RPUSH', KEYS[2] .. ':' .. id, unpack(records))
  redis.call('LTRIM', KEYS[1], #records, -1)
end
redis.call('ZADD', KEYS[2], now + ARGV[2], id)
table.insert(records, 1, id)
return records
