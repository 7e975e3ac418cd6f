-- Receipts whose jobId nobody knows. The key of a jobId holds the job's id or, while nobody knows the jobId, the JSON of the
-- receipt that came early.
local function is_receipt(value) return value and string.sub(value, 1, 1) == '{' end

-- Such receipts wait in `unmatched`. Until they were compared with the doubts once, they are also stored under the last
-- digits of their recipient, so that a doubt need not look through all of them. That key does not outlive the last of them.
local function untried_of(number) return keys.untried .. tail_of(number) end

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

local function tried(receipt)
  if receipt.to then redis.call('SREM', untried_of(receipt.to), receipt.job_id) end
end

-- The receipt's jobId is known now, so it needs no match.
local function leave_unmatched(receipt)
  redis.call('ZREM', keys.unmatched, receipt.job_id)
  tried(receipt)
end
