-- What `recover` has dealt with: a call, a push or a cancellation. The state may show nothing of it, and processes remember it.
-- So `past` has it until none of them can, and `examine` does not take it for lost once more. If the state goes back behind
-- the recovery, this is gone, too.
local note_past, is_past
do
  local function past_of(item) return item.token or item.kind .. ' ' .. item.job .. ' ' .. item.entry end

  function note_past(options, item)
    redis.call('ZREMRANGEBYSCORE', keys.past, '-inf', int(now))
    redis.call('ZADD', keys.past, int(now + options.keep), past_of(item))
  end

  function is_past(item) return redis.call('ZSCORE', keys.past, past_of(item)) ~= false end
end
