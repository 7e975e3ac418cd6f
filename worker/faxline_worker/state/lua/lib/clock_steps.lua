-- A dispatcher saw TIME step by so much (ms). The doctor tells of it. For `memory` ms, while receipts may come of calls
-- that were made before the step, their times get so much more slack (`stepped`, the sum of all such steps).
local function note_step(step, memory)
  local noted = redis.call('HMGET', keys.account_state, 'stepped', 'stepped_until')
  local before = (tonumber(noted[2]) or 0) > steady and tonumber(noted[1]) or 0
  redis.call('HSET', keys.account_state, 'step', int(step), 'step_at', int(now), 'stepped',
    int(before + math.abs(step)), 'stepped_until', int(steady + memory))
end
