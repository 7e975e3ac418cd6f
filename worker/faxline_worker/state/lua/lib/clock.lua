-- The clock of every transition: Redis TIME, so that the pods' clocks do not matter. It is the one seam of time:
-- a test puts another piece in its place (scripts.source).
local now_us
do
  local time = redis.call('TIME')
  now_us = time[1] * 1000000 + time[2]
end
local now = math.floor(now_us / 1000)
local function int(number) return string.format('%.0f', number) end
