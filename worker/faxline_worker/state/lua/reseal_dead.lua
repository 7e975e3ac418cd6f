-- reseal_dead: seals an entry that was set aside anew. It then stands behind the others, under another id.
-- ARGV  entry, the value of its field (the content) to put in its place
-- reply done or gone
local found = redis.call('XRANGE', keys.dead, ARGV[1], ARGV[1])[1]
if not found then return 'gone' end
local fields = found[2]
fields[#fields] = ARGV[2]
redis.call('XADD', keys.dead, '*', unpack(fields))
redis.call('XDEL', keys.dead, ARGV[1])
return 'done'
