-- set_aside: an entry that cannot be processed leaves its stream and is kept for a look.
-- include: clock dead
-- ARGV  entry, consumer group (empty: none), the stream (intake or status), why, cap of the dead; and where the entry is to
--       be kept in another form, its fields and values
-- reply done or gone
local CONTENT = 6
local stream = keys[ARGV[3]]
local found = redis.call('XRANGE', stream, ARGV[1], ARGV[1])
if #found == 0 then return 'gone' end
local content = #ARGV >= CONTENT and { unpack(ARGV, CONTENT) } or found[1][2]
keep_dead(ARGV[5], ARGV[3], ARGV[1], ARGV[4], content)
if ARGV[2] ~= '' then redis.call('XACK', stream, ARGV[2], ARGV[1]) end
redis.call('XDEL', stream, ARGV[1])
return 'done'
