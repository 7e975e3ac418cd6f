-- Receipts whose jobId nobody knows. The key of a jobId holds the job's id or, while nobody knows the jobId, the JSON of the
-- receipt that came early.
local function is_receipt(value) return value and string.sub(value, 1, 1) == '{' end

-- Receipts whose jobId nobody knows wait in `unmatched`; and until they were held against the doubts once they stand under
-- their recipient's last digits too, so that a doubt need not look through all of them. The key outlives the last of them
-- by nothing.
local function untried_of(number) return keys.untried .. tail_of(number) end

-- When (ms) no answer can claim a receipt any more that came now: each call that is under way has ended, also a large one,
-- whose lease grew with its size.
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

-- It needs no match any more: its jobId is known.
local function leave_unmatched(receipt)
  redis.call('ZREM', keys.unmatched, receipt.job_id)
  tried(receipt)
end
