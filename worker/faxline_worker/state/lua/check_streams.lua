-- check_streams: whether a stream to which others add is out of ids, or one that was put aside must be emptied; and how
-- much waits in intake.
-- include: clock streams streams_aside
-- ARGV  consumer group of intake
-- reply JSON {now (ms), replace = [names], entries (of intake), oldest (ms: when the oldest of them came)}
local NAMES = { 'intake', 'status', 'orders' }
local replace = {}
for _, name in ipairs(NAMES) do
  if ahead_of(keys[name], name == 'intake' and ARGV[1] or '') or waits_aside(name) then table.insert(replace, name) end
end
local entries, oldest = redis.call('XLEN', keys.intake), nil
if entries > 0 then
  local pending = redis.pcall('XPENDING', keys.intake, ARGV[1])
  oldest = not pending.err and pending[2] or redis.call('XRANGE', keys.intake, '-', '+', 'COUNT', 1)[1][1]
  oldest = tonumber(string.match(oldest, '^%d+'))
end
return cjson.encode({ now = now, replace = #replace > 0 and replace or nil, entries = entries, oldest = oldest })
