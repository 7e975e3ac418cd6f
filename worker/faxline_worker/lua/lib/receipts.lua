-- A receipt meets its job: the one place where a job is delivered, failed or canceled by iFax's word.
-- The key of a jobId holds the job's id or, while nobody knows the jobId, the JSON of the receipt that came early.
local function is_receipt(value) return value and string.sub(value, 1, 1) == '{' end

local OPEN = { submitted = 'submitted', in_doubt = 'in_doubt', unconfirmed = 'submitted', queued = 'ready' }

-- receipt: a table with job_id, outcome, code, reason, message, pages, transferred. Returns applied, repeated or
-- resolved_doubt.
local function apply_receipt(keys, options, id, job, receipt)
  local before = job.state
  if not OPEN[before] then return 'repeated' end
  redis.call('ZREM', keys[OPEN[before]], id)
  if before == 'unconfirmed' then redis.call('HINCRBY', keys.account, 'done:unconfirmed', -1) end
  local said = { code = receipt.code, reason = receipt.reason, message = receipt.message, pages = receipt.pages,
    transferred = receipt.transferred }
  local changes = { job_id = receipt.job_id, state = receipt.outcome }
  for name, value in pairs(said) do changes[name] = value end
  transition(keys, options.cap, id, job, 'fax.' .. receipt.outcome, changes, said)
  finish(keys, id, job, options.retention)
  return (before == 'in_doubt' or before == 'queued') and 'resolved_doubt' or 'applied'
end
