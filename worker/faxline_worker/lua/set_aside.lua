-- set_aside: an entry that cannot be worked on leaves its stream and is kept for a look.
-- include: clock
-- KEYS  stream, dead
-- ARGV  entry, consumer group (empty: none), name of the stream, why, cap of the dead
-- reply done or gone
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return 'gone' end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', 'stream', ARGV[3], 'entry', ARGV[1], 'why', ARGV[4],
  unpack(found[1][2]))
if ARGV[2] ~= '' then redis.call('XACK', KEYS[1], ARGV[2], ARGV[1]) end
redis.call('XDEL', KEYS[1], ARGV[1])
return 'done'
