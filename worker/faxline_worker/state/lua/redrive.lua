-- redrive: an operator puts an entry that was set aside back on its stream. The order leaves its stream.
-- include: clock orders audit
-- ARGV  stream entry of the order, entry of the dead, who orders it, JSON options
-- reply done, refused (there is no such entry) or gone; unless it is gone, the result is also in the stream `reply`
local order = take_order(ARGV[1])
if not order then return 'gone' end
local entries = redis.pcall('XRANGE', keys.dead, ARGV[2], ARGV[2]) -- what is no entry's id is an error
local found = not entries.err and entries[1]
local function done(result)
  audit(cjson.decode(ARGV[4]), ARGV[3], 'redrive', { user = order.user, about = ARGV[2], outcome = result })
  return answer(ARGV[1], result)
end
if not found then return done('refused') end
local stream, content = keys.status, {}
for i = 1, #found[2], 2 do -- first what `set_aside` wrote about it: stream, entry, why
  local name, value = found[2][i], found[2][i + 1]
  if i == 1 and value == 'intake' then stream = keys.intake end
  if i > 6 then
    table.insert(content, name)
    table.insert(content, value)
  end
end
redis.call('XADD', stream, '*', unpack(content))
redis.call('XDEL', keys.dead, found[1])
return done('done')
