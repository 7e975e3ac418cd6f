-- create_group: creates the dispatchers' consumer group, and the stream, unless they exist.
-- KEYS  intake
-- ARGV  consumer group
-- reply done
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
return 'done'
