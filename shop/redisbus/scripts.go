package redisbus

// countScript counts the entries from ARGV[1] on.
const countScript = `
local n, from = 0, ARGV[1]
while true do
	local page = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1000)
	n = n + #page
	if #page < 1000 then return n end
	from = '(' .. page[#page][1]
end`

// expireScript removes up to ARGV[2] entries older than the id ARGV[1],
// acknowledged or not. In the hash KEYS[2] it adds up, by group, those that the
// group had not acknowledged. In one step, so that consumers that do it at the
// same time count nothing twice.
const expireScript = `
local old = redis.call('XRANGE', KEYS[1], '-', '(' .. ARGV[1], 'COUNT', tonumber(ARGV[2]))
if #old == 0 then return 0 end
local last = old[#old][1]
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
	local name, delivered
	for i = 1, #group, 2 do
		if group[i] == 'name' then name = group[i + 1] end
		if group[i] == 'last-delivered-id' then delivered = group[i + 1] end
	end
	local lost = 0
	local unread = redis.call('XRANGE', KEYS[1], '(' .. delivered, last, 'COUNT', tonumber(ARGV[2]))
	lost = lost + #unread
	for _, pending in ipairs(redis.call('XPENDING', KEYS[1], name, '-', last, 1000000)) do
		if #redis.call('XRANGE', KEYS[1], pending[1], pending[1]) > 0 then lost = lost + 1 end
		redis.call('XACK', KEYS[1], name, pending[1])
	end
	if lost > 0 then redis.call('HINCRBY', KEYS[2], name, lost) end
end
for _, entry in ipairs(old) do redis.call('XDEL', KEYS[1], entry[1]) end
return #old`
