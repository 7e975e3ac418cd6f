-- Receipts that come before their jobId is known: how long they wait, and which of several is kept.

-- When (ms) no answer can claim a receipt any more that came now: when each call that is under way has ended, also one with a
-- large document, whose lease is longer.
local function claimed_by(options)
  local last = redis.call('ZREVRANGE', keys.permits, 0, 0, 'WITHSCORES')[2]
  return int(math.max(steady + options.lease, tonumber(last) or 0) + options.sweep)
end

local function await_match(options, receipt)
  redis.call('ZADD', keys.unmatched, receipt.due, receipt.job_id)
  if not receipt.to then return end
  redis.call('SADD', untried_of(receipt.to), receipt.job_id)
  redis.call('PEXPIRE', untried_of(receipt.to), options.keep)
end

-- Whether a receipt tells more of its fax than an earlier one: that was delivered, or the earlier one may not be the last.
local function is_later(options, receipt, earlier)
  if receipt.outcome == 'delivered' and earlier.outcome ~= 'delivered' then return true end
  return may_redial(options, earlier)
    and (receipt.outcome ~= 'failed' or not receipt.redial or receipt.redial > earlier.redial)
end
