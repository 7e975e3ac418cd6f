-- create_group: creates the dispatchers' consumer group, and the stream, unless they exist.
-- ARGV  consumer group
-- reply done
local made = redis.pcall('XGROUP', 'CREATE', keys.intake, ARGV[1], '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
return 'done'
