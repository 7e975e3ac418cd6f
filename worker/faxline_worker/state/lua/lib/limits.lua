-- The limits of an account as they are in force now, and what counts under them (ARCHITECTURE.md, The limits). A limit of 0 is
-- off. Times are microseconds.

-- The leaky bucket: it gains one at each answer.
local function bucket_level(account, limits)
  local level = account.bucket - (now_us - account.bucket_at) * limits.requests / limits.window
  return math.max(0, level)
end

-- The part of the limits that is used: less than 1 after a 429 that our own traffic did not cause. It recovers in steps,
-- six in a window, each twice the one before; the first is 0.01.
local STEPS = 6
local function steps_since(account, limits)
  return math.max(0, math.floor((now_us - account.limit_factor_at) * STEPS / limits.window))
end
local function limit_factor_of(account, limits)
  if account.limit_factor >= 1 then return 1 end
  return math.min(1, account.limit_factor + 0.01 * (2 ^ math.min(30, steps_since(account, limits)) - 1))
end

-- The limits as they are in force now.
local function limits_of(options, account)
  local whole = { requests = options.requests, window = options.window }
  local factor = limit_factor_of(account, whole)
  local function cut(limit) return limit > 0 and math.max(1, math.floor(limit * factor)) or 0 end
  local concurrency, backoff = cut(options.concurrency), account.concurrency_backoff
  if backoff > 0 and (concurrency == 0 or backoff < concurrency) then concurrency = backoff end
  return { requests = cut(options.requests), window = options.window, concurrency = concurrency,
    burst = cut(options.burst), factor = factor }
end

-- The answers of the last window.
local function count_answers(limits)
  return redis.call('ZCOUNT', keys.answers, int(now_us - limits.window), '+inf')
end
