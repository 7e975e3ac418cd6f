-- Room under the limits (DESIGN section 4). A request counts from its admission until its answer, plus the
-- window: permits held, answers of the last window, and a leaky bucket that gains one at each answer.
-- A limit of 0 is off. Times in microseconds; the gate and the pause close the account whole.
local function bucket_level(account, limits)
  local rate = limits.requests / limits.window
  local level = (tonumber(account.bucket) or 0) - (now_us - (tonumber(account.bucket_at) or now_us)) * rate
  return math.max(0, level)
end

local function read_account(key)
  local values = redis.call('HMGET', key, 'bucket', 'bucket_at', 'gate', 'paused', 'alarm')
  return { bucket = values[1], bucket_at = values[2], gate = tonumber(values[3]) or 0, paused = values[4],
    alarm = tonumber(values[5]) or 0 }
end

-- free: permits that can be granted now; limit: what holds when none can; wait: microseconds until that
-- limit alone lets one through (-1: only an answer or an operator does).
local function room(keys, account, limits)
  if account.paused and account.paused ~= '' then return 0, 'paused', -1 end
  if account.gate > now_us then return 0, 'gate', account.gate - now_us end
  local held = redis.call('ZCARD', keys.permits)
  local free, limit, wait = 1000000, 'none', -1
  if limits.concurrency > 0 then
    free, limit = limits.concurrency - held, 'concurrency'
  end
  if limits.requests > 0 then
    redis.call('ZREMRANGEBYSCORE', keys.answers, '-inf', '(' .. int(now_us - limits.window))
    local answered = redis.call('ZCARD', keys.answers)
    local left = limits.requests - held - answered
    if left < free then
      free, limit = left, 'window'
      if left <= 0 and answered + left > 0 then
        local oldest = redis.call('ZRANGE', keys.answers, 0 - left, 0 - left, 'WITHSCORES')
        if oldest[2] then wait = math.max(1, tonumber(oldest[2]) + limits.window + 1 - now_us) end
      end
    end
    if limits.burst > 0 then
      local over = held + bucket_level(account, limits)
      local unused = math.floor(limits.burst - over)
      if unused < free then
        free, limit, wait = unused, 'burst', -1
        if unused <= 0 and held < limits.burst then
          wait = math.ceil((over - limits.burst + 1) * limits.window / limits.requests)
        end
      end
    end
  end
  return math.max(0, free), limit, wait
end

-- The request behind a permit is answered (or can live no longer): it leaves the permits, joins the window.
local function answered(keys, account, limits, token)
  redis.call('ZREM', keys.permits, token)
  if limits.requests > 0 then
    redis.call('ZADD', keys.answers, int(now_us), token)
    account.bucket = bucket_level(account, limits) + 1
    account.bucket_at = now_us
    redis.call('HSET', keys.account, 'bucket', string.format('%.6f', account.bucket), 'bucket_at', int(now_us))
  end
end

local function limits_of(options)
  return { requests = options.requests, window = options.window, concurrency = options.concurrency,
    burst = options.burst }
end
