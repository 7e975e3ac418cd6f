-- check_streams: whether a stream to which others add is out of ids, or one that was put aside is to be emptied; and how
-- much waits in intake.
-- include: clock streams
-- KEYS  intake, status, orders, account
-- ARGV  consumer group of intake
-- reply JSON {now (ms), replace = [names], entries (of intake), oldest (ms: when the oldest of them came)}
local NAMES = { 'intake', 'status', 'orders' }
local replace = {}
for i, name in ipairs(NAMES) do
  if ahead_of(KEYS[i], i == 1 and ARGV[1] or '') or waits_aside(KEYS[4], name) then table.insert(replace, name) end
end
local entries, oldest = redis.call('XLEN', KEYS[1]), nil
if entries > 0 then
  local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
  oldest = not pending.err and pending[2] or redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]
  oldest = tonumber(string.match(oldest, '^%d+'))
end
return cjson.encode({ now = now, replace = #replace > 0 and replace or nil, entries = entries, oldest = oldest })
