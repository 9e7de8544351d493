-- KEYS: the set of batches. ARGV: a batch's id.
redis.call('DEL', KEYS[1] .. ':' .. ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
