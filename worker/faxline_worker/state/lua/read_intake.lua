-- read_intake: a dispatcher's next entries. Their sizes are not known before they are read, so it reads one, then a few at
-- a time, until it has enough entries or enough bytes. If the reply is lost, the entries are pending for that dispatcher.
-- ARGV  consumer group, consumer, most entries, bytes
-- reply whether there may be more (1 or 0), and the entries as XREADGROUP gives them
local most, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local FEW, SMALL = 4, 65536
local found, size, step = {}, 0, 1
while #found < most and size < bytes do
  local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', step, 'STREAMS', keys.intake, '>')
  if not reply then return { 0, found } end
  local entries, before = reply[1][2], size
  for _, entry in ipairs(entries) do
    found[#found + 1] = entry
    local fields = entry[2]
    for i = 1, #fields do size = size + #fields[i] end
  end
  if #entries < step then return { 0, found } end
  step = math.min(size - before > SMALL and 1 or FEW, most - #found)
end
return { 1, found }
