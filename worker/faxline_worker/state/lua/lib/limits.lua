-- Room under the limits (ARCHITECTURE.md, The limits). A request counts from its admission until its answer, plus the
-- window: permits held, answers of the last window, and a leaky bucket that gains one at each answer.
-- A limit of 0 is off. Times in microseconds. The cooldown, the pause and the check after a change of the
-- server (`verify_until`) close the account; the limit factor and the concurrency backoff lower its limits (lib/account.lua).
local function bucket_level(account, limits)
  local level = account.bucket - (now_us - account.bucket_at) * limits.requests / limits.window
  return math.max(0, level)
end

-- What must be the same for all processes lest a limit is exceeded or a fax sent twice, as one text: `offer` has it of each.
-- The strictest: the fewest requests in the longest window, the fewest calls at once, the smallest burst (0 is no limit);
-- the longest lease, the longest time that the bytes of a call that ended may need, the longest wait of a doubt; and to hold a doubt, where the policies differ.
-- And beyond what older processes offer: the smallest share of the calls for questions (a millionth), and whether results are
-- asked for (1), where any process is set so.
local OFFERED = { 'requests', 'window', 'concurrency', 'burst', 'lease', 'doubt', 'then_', 'linger', 'poll_share', 'asks' }
local ALL_OFFER = 8
local function write_offer(settings)
  local words = {}
  for i, name in ipairs(OFFERED) do words[i] = name == 'then_' and settings[name] or int(settings[name]) end
  return table.concat(words, ' ')
end
local function read_offer(text)
  local settings, i = {}, 0
  for word in string.gmatch(text, '%S+') do
    i = i + 1
    if OFFERED[i] then settings[OFFERED[i]] = tonumber(word) or word end
  end
  return i >= ALL_OFFER and settings or nil
end
-- Lets `settings`, a table with these members, be as strict as the other one in each.
local function take_stricter(settings, other)
  local function least(name)
    local mine, theirs = settings[name], other[name]
    if theirs > 0 and (mine == 0 or theirs < mine) then settings[name] = theirs end
  end
  if other.requests > 0 and (settings.requests == 0 or other.window > settings.window) then
    settings.window = other.window
  end
  for _, name in ipairs({ 'requests', 'concurrency', 'burst' }) do least(name) end
  for _, name in ipairs({ 'lease', 'doubt', 'linger' }) do settings[name] = math.max(settings[name], other[name]) end
  settings.poll_share = math.min(settings.poll_share, other.poll_share or settings.poll_share)
  settings.asks = math.max(settings.asks, other.asks or 0)
  if settings.then_ ~= other.then_ then settings.then_ = 'hold' end
end
local function take_strictest(options, text)
  local strictest = options and text and read_offer(text)
  if strictest then take_stricter(options, strictest) end
end

-- For a script that reads nothing else of the account: the steady clock, and the options as the strictest offer has them.
local function read_strictest(options)
  local values = redis.call('HMGET', keys.account_state, 'seen', 'skew', 'strictest')
  keep_steady(values[1], values[2])
  take_strictest(options, values[3])
end

-- Fields of the account's hash whose stored names are older than the ones used here: older versions read them too.
local STORED_AS = { cooldown_until = 'gate', cooldown_at = 'gated_at', cooldowns = 'gates', limit_factor = 'share',
  limit_factor_at = 'share_at', concurrency_backoff = 'strain' }

-- options: the caller's, which become as strict as any that is offered, where it has any. estimate: the steady clock as the caller has it
-- (lib/steady.lua), which is set here; nothing where it has none.
local function read_account(options, estimate)
  local values = redis.call('HMGET', keys.account_state, 'bucket', 'bucket_at', 'gate', 'gated_at', 'gates', 'paused', 'paused_at',
    'probes', 'probe_at', 'share', 'share_at', 'strain', 'waits', 'alarm', 'seconds', 'layout', 'seen', 'skew', 'strictest',
    'verify_until', 'unknown', 'unknowns', 'accepted', 'accepted_before', 'apart', 'asking')
  if not newer(values[16]) then keep_steady(values[17], values[18], estimate) end
  take_strictest(options, values[19])
  local function number(i, otherwise) return tonumber(values[i]) or otherwise end
  return { bucket = number(1, 0), bucket_at = number(2, now_us), cooldown_until = number(3, 0), cooldown_at = number(4, 0),
    cooldowns = number(5, 0), paused = values[6] or '', paused_at = number(7, 0), probes = number(8, 0),
    probe_at = number(9, 0), limit_factor = number(10, 1), limit_factor_at = number(11, 0), concurrency_backoff = number(12, 0),
    waits = values[13] or '', alarm = number(14, 0), seconds = number(15, nil), noted_seconds = number(15, 0),
    newer = newer(values[16]), verify_until = number(20, 0), unknown = values[21] or '', unknowns = number(22, 0),
    accepted = values[23] or '', accepted_before = values[24] or '', apart = values[25] or '', asking = values[26] or '' }
end

-- Until when (us) the account waits for every process to look at a new server. Where a step of the clock shows only after
-- that was set, it is not waited for.
local LONGEST_LOOK_US = 120000000
local function verify_until(account)
  return account.verify_until <= now_us + LONGEST_LOOK_US and account.verify_until or 0
end

-- Pauses that nothing but an operator ends: no probe goes, and no answer of iFax's says anything about them.
local ROLLED_BACK = 'state_rolled_back'
local HELD = { operator = true, [ROLLED_BACK] = true }

-- Whether the state may be older than what was done: nothing is decided about a job then that the lost stretch may
-- have decided otherwise.
local function may_be_old(account) return account.paused == ROLLED_BACK or verify_until(account) > now_us end

-- Until when the whole account is closed.
local function shut_until(account) return math.max(account.cooldown_until, verify_until(account)) end

-- The part of the limits that is used: less than 1 after a 429 that our own traffic did not cause. It recovers in steps, six in
-- a window, each twice the one before.
local STEP, STEPS = 0.01, 6
local function steps_since(account, limits)
  return math.max(0, math.floor((now_us - account.limit_factor_at) * STEPS / limits.window))
end
local function limit_factor_of(account, limits)
  if account.limit_factor >= 1 then return 1 end
  return math.min(1, account.limit_factor + STEP * (2 ^ math.min(30, steps_since(account, limits)) - 1))
end

-- The limits as they are in force now.
local function limits_of(options, account)
  local whole = { requests = options.requests, window = options.window }
  local factor = limit_factor_of(account, whole)
  local function cut(limit) return limit > 0 and math.max(1, math.floor(limit * factor)) or 0 end
  local concurrency = cut(options.concurrency)
  if account.concurrency_backoff > 0 and (concurrency == 0 or account.concurrency_backoff < concurrency) then concurrency = account.concurrency_backoff end
  return { requests = cut(options.requests), window = options.window, concurrency = concurrency,
    burst = cut(options.burst), factor = factor }
end

local function count_answers(limits)
  return redis.call('ZCOUNT', keys.answers, int(now_us - limits.window), '+inf')
end

-- So much room that nobody needs to count who is on his way to it.
local PLENTY = 1000

-- What closes the account, and from when on (us) one probe may go; none while the pause is held. After a 429 one call at a
-- time finds out whether it is over, too.
local function closed_by(account)
  if HELD[account.paused] then return 'paused', math.huge end
  if account.paused ~= '' then return 'paused', math.max(account.probe_at, verify_until(account)) end
  if shut_until(account) > now_us then return 'rate_limit_cooldown', shut_until(account) end
  if account.cooldowns > 0 then return 'rate_limit_cooldown', account.probe_at end
end

-- free: permits that can be granted now. limit: what holds the next one. by_answer: no time helps, an answer does.
-- held, answers, level: what is used; nothing of it while the account is closed until `opens`. probe: it is closed, and one
-- probe may go. The argument `held` is for a caller that knows how many permits there are.
local function room(account, limits, held)
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

-- The moments (us) at which time alone frees the next slots after the `free` ones, `most` at the most; each stands
-- on those before it being taken. Concurrency is left out, for answers come meanwhile. Second: whether there are
-- fewer because the next one needs an answer.
local function slots(account, limits, r, most)
  local moments = {}
  if limits.requests == 0 then return moments, false end
  local gone = r.held + r.answers + r.free - limits.requests -- answers to leave the window before the first
  local skip = math.max(0, gone)
  local leaving = gone + most <= 0 and {} or redis.call('ZRANGEBYSCORE', keys.answers, int(now_us - limits.window),
    '+inf', 'WITHSCORES', 'LIMIT', int(skip), int(most))
  for k = 1, most do
    local at = now_us
    if gone + k > 0 then
      local score = leaving[2 * (gone + k - skip)]
      if not score then return moments, true end
      at = math.max(at, tonumber(score) + limits.window + 1)
    end
    local over = limits.burst > 0 and r.held + r.level + r.free + k - limits.burst or 0
    if over > r.level then return moments, true end -- the bucket is empty before
    if over > 0 then at = math.max(at, now_us + math.ceil(over * limits.window / limits.requests)) end
    if at == now_us then return moments, true end -- it is the concurrency that holds it
    moments[k] = at
  end
  return moments, false
end

-- A permit stands in `permits` with the job (or the control call) that it is held for, as token|job; and as token| where
-- nobody holds it any more, but its request may still live.
local function permit_of(token, id) return token .. '|' .. (id or '') end
local function held_for(permit) return string.match(permit, '^[^|]*|(.+)$') end

-- The request behind a permit that was given back is answered (or can live no longer): it joins the window.
local function answered(account, limits, token)
  if limits.requests > 0 then
    redis.call('ZADD', keys.answers, int(now_us), token)
    account.bucket, account.bucket_at = bucket_level(account, limits) + 1, now_us
  end
  local seconds, noted = account.seconds and int(account.seconds) or '', account.noted or {}
  if limits.requests > 0 then
    redis.call('HSET', keys.account_state, 'bucket', string.format('%.6f', account.bucket), 'bucket_at', int(account.bucket_at),
      'seconds', seconds, 'seen', int(TIME_US), unpack(noted))
  elseif account.noted or account.seconds and math.abs(account.seconds - account.noted_seconds) > 0.1 * account.noted_seconds then
    redis.call('HSET', keys.account_state, 'seconds', seconds, unpack(noted)) -- for nothing but the forecasts
  end
end
