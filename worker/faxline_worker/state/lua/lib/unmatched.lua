-- Receipts whose jobId nobody knows. The key of a jobId holds the job's id or, while nobody knows the jobId, the JSON of the
-- receipt that came early.
local function is_receipt(value) return value and string.sub(value, 1, 1) == '{' end

-- Such receipts wait in `unmatched`. Until they were compared with the doubts once, they are also stored under the last
-- digits of their recipient, so that a doubt need not look through all of them. That key does not outlive the last of them.
local function untried_of(number) return keys.untried .. tail_of(number) end

local function note_tried(receipt)
  if receipt.to then redis.call('SREM', untried_of(receipt.to), receipt.job_id) end
end

-- The receipt's jobId is known now, so it needs no match.
local function leave_unmatched(receipt)
  redis.call('ZREM', keys.unmatched, receipt.job_id)
  note_tried(receipt)
end
