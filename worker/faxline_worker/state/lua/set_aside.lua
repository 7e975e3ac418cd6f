-- set_aside: an entry that cannot be worked on leaves its stream and is kept for a look.
-- include: clock dead
-- KEYS  stream, dead
-- ARGV  entry, consumer group (empty: none), name of the stream, why, cap of the dead; and where the entry is to be
--       kept in another form, its fields and values
-- reply done or gone
local CONTENT = 6
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return 'gone' end
local content = #ARGV >= CONTENT and { unpack(ARGV, CONTENT) } or found[1][2]
keep_dead(KEYS[2], ARGV[5], ARGV[3], ARGV[1], ARGV[4], content)
if ARGV[2] ~= '' then redis.call('XACK', KEYS[1], ARGV[2], ARGV[1]) end
redis.call('XDEL', KEYS[1], ARGV[1])
return 'done'
