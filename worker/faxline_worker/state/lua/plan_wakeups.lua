-- plan_wakeups: decides which wake-ups to send for an account, now and in the next moments, and when to look again.
-- include: clock offers account_hash limits room slots wakes
-- ARGV  JSON options, horizon (ms): how far ahead, most wake-ups on their way at once, the steady clock as the caller knows
--       it (ms, or empty)
-- reply JSON {wakes = [[token, ms from now]], next (ms until the next look; none: an event will ask for it), steady (ms,
--       where the account was read)}
local options, horizon, most = cjson.decode(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

if redis.call('ZCARD', keys.ready) == 0 then -- by Redis' clock, to spare a read: `woken` goes by the steady one anyway
  redis.call('ZREMRANGEBYSCORE', keys.wakes, '-inf', int(now))
  return cjson.encode({})
end
local account = read_account(options, ARGV[4])
if account.newer then return cjson.encode({}) end
redis.call('ZREMRANGEBYSCORE', keys.wakes, '-inf', int(steady))
local ready, out = unwoken()
local limits = limits_of(options, account)
local r = room(account, limits)
local open = not r.opens and not (r.probe and r.free > 0) -- else nothing but the moment of the next probe counts
local moments, later, broke = {}, nil, false
for i = 1, math.min(r.free - out, ready, most - out) do moments[i] = now_us end
if open and #moments < math.min(ready, most) then
  local by_time
  by_time, broke = slots(account, limits, r, math.min(out + ready, most))
  for i = math.max(0, out - r.free) + 1, #by_time do -- those before it have their wake-ups already
    if #moments >= math.min(ready, most) then break end
    if by_time[i] > now_us + horizon * 1000 then
      later = by_time[i]
      break
    end
    table.insert(moments, by_time[i])
  end
end
local wakes = grant_wakes(moments, options.wake_lease)
if open and r.by_answer ~= nil then
  local answer = (r.by_answer or (broke and not later and #wakes == 0)) and r.free < ready + out
  -- What is free has its wake-up. Where more than one slot came free since the last look, `settle` is the quicker way.
  local time = not answer and r.by_answer == false and r.free <= out + math.min(1, #wakes)
  await_answer(account, answer and '1' or time and 'time' or '')
end

local soonest
local function consider(at) if at and (not soonest or at < soonest) then soonest = at end end
if later then
  consider(later)
elseif open and #wakes > 0 and #wakes < ready then
  consider(math.max(moments[#moments] + 1000, now_us + 10000))
end
if r.opens and r.opens < math.huge then consider(r.opens) end
if account.limit_factor < 1 then
  consider(account.limit_factor_at + (steps_since(account, { window = limits.window }) + 1) * limits.window / STEPS)
end
local head = redis.call('ZRANGE', keys.wakes, 0, 0, 'WITHSCORES')
if head[2] then consider((tonumber(head[2]) + 1) * 1000) end
return reply_at({ wakes = #wakes > 0 and wakes or nil,
  next = soonest and math.max(1, math.ceil((soonest - now_us) / 1000)) or nil })
