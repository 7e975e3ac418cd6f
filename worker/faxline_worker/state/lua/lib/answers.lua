-- A permit was given back, and its request is answered or can live no longer: it joins the window.
local function note_answer(account, limits, token)
  if limits.requests > 0 then
    redis.call('ZADD', keys.answers, int(now_us), token)
    account.bucket, account.bucket_at = bucket_level(account, limits) + 1, now_us
  end
  local seconds, noted = account.seconds and int(account.seconds) or '', account.noted or {}
  if limits.requests > 0 then
    redis.call('HSET', keys.account_state, 'bucket', string.format('%.6f', account.bucket), 'bucket_at', int(account.bucket_at),
      'seconds', seconds, 'seen', int(TIME_US), unpack(noted))
  elseif account.noted
    or account.seconds and math.abs(account.seconds - account.noted_seconds) > 0.1 * account.noted_seconds then
    redis.call('HSET', keys.account_state, 'seconds', seconds, unpack(noted)) -- only for the forecasts
  end
end
