-- The moments (us), at most `most`, at which time alone frees the next slots after the `free` ones; each assumes that those
-- before it are taken. Concurrency is left out, because answers come in the meantime. Second: whether there are fewer
-- because the next slot needs an answer.
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
