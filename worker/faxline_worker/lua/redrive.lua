-- redrive: an operator puts an entry that was set aside back on its stream; the order leaves its stream.
-- include: clock
-- KEYS  orders, dead, intake, status
-- ARGV  stream entry of the order, entry of the dead
-- reply done, refused (there is no such entry) or gone
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 'gone' end
local found = redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2])[1]
if not found then return 'refused' end
local content, about = {}, { stream = true, entry = true, why = true }
local stream = KEYS[4]
for i = 1, #found[2], 2 do
  local name, value = found[2][i], found[2][i + 1]
  if i <= 6 and about[name] then
    if name == 'stream' and value == 'intake' then stream = KEYS[3] end
  else
    table.insert(content, name)
    table.insert(content, value)
  end
end
redis.call('XADD', stream, '*', unpack(content))
redis.call('XDEL', KEYS[2], ARGV[2])
return 'done'
