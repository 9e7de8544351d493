-- KEYS: the list, the batch's mark, one hash a function.
-- ARGV: the list's limit, the mark's seconds, n, n records, and for each
-- function its calls, errors and total time.
-- Returns 1, or 0 where the list is full.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 1
end
local n = tonumber(ARGV[3])
if redis.call('LLEN', KEYS[1]) + n > tonumber(ARGV[1]) then
  return 0
end
for i = 4, 3 + n do
  redis.call('RPUSH', KEYS[1], ARGV[i])
end
for i = 3, #KEYS do
  local at = 4 + n + 3 * (i - 3)
  redis.call('HINCRBY', KEYS[i], 'calls', ARGV[at])
  redis.call('HINCRBY', KEYS[i], 'errors', ARGV[at + 1])
  redis.call('HINCRBYFLOAT', KEYS[i], 'total_time', ARGV[at + 2])
end
redis.call('SET', KEYS[2], 1, 'EX', ARGV[2])
return 1
