-- Whether there is room for another call. A request counts from its admission until its answer, plus the window: permits held,
-- answers of the last window, and the leaky bucket. The cooldown, the pause and the check after a change of the server
-- (`verify_until`) close the account.

-- With this much room, wake-ups in transit need not be counted.
local PLENTY = 1000

local room
do
  -- Until when the whole account is closed.
  local function shut_until(account) return math.max(account.cooldown_until, verify_until(account)) end

  -- What closes the account, and from when on (us) one probe may go; none while the pause is held. After a 429 one call at a
  -- time finds out whether it is over, too.
  local function closed_by(account)
    if ENDED_BY_OPERATOR[account.paused] then return 'paused', math.huge end
    if account.paused ~= '' then return 'paused', math.max(account.probe_at, verify_until(account)) end
    if shut_until(account) > now_us then return 'rate_limit_cooldown', shut_until(account) end
    if account.cooldowns > 0 then return 'rate_limit_cooldown', account.probe_at end
  end

  -- free: permits that can be granted now. limit: what holds the next one. by_answer: no time helps, an answer does.
  -- held, answers, level: what is used; nothing of it while the account is closed until `opens`. probe: it is closed, and one
  -- probe may go. The argument `held` is for a caller that knows how many permits there are.
  function room(account, limits, held)
    local closed, opens = closed_by(account)
    if closed and opens > now_us then return { free = 0, limit = closed, opens = opens } end
    local r = { held = held or redis.call('ZCARD', keys.permits), free = 1000000, limit = 'none', answers = 0, level = 0 }
    local function bound(free, limit, by_answer)
      if free < r.free then r.free, r.limit, r.by_answer = free, limit, by_answer end
    end
    if limits.requests > 0 then
      r.answers = count_answers(limits)
      bound(limits.requests - r.held - r.answers, 'window', r.answers == 0)
      if limits.burst > 0 then
        r.level = bucket_level(account, limits)
        bound(math.floor(limits.burst - r.held - r.level), 'burst', r.held >= limits.burst)
      end
    end
    if limits.concurrency > 0 then bound(limits.concurrency - r.held, 'concurrency', true) end
    r.free = math.max(0, r.free)
    if closed then r.free, r.probe = math.min(1, r.free), true end
    return r
  end
end
