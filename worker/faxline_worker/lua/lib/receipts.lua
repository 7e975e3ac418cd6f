-- A receipt meets its job: the one place where a job is delivered, failed or canceled by iFax's word.
-- The key of a jobId holds the job's id or, while nobody knows the jobId, the JSON of the receipt that came early.
local function is_receipt(value) return value and string.sub(value, 1, 1) == '{' end

-- receipt: a table with outcome, code, reason, message, pages, transferred. Returns applied or repeated.
local function apply_receipt(keys, options, id, job, receipt)
  local open = job.state == 'submitted' or job.state == 'in_doubt' or job.state == 'unconfirmed'
  if not open then return 'repeated' end
  local before = job.state
  local data = { code = receipt.code, reason = receipt.reason, message = receipt.message, pages = receipt.pages,
    transferred = receipt.transferred }
  redis.call('ZREM', before == 'in_doubt' and keys.in_doubt or keys.submitted, id)
  if before == 'unconfirmed' then redis.call('HINCRBY', keys.account, 'done:unconfirmed', -1) end
  transition(keys, options.cap, id, job, 'fax.' .. receipt.outcome, {
    state = receipt.outcome, code = receipt.code, reason = receipt.reason, message = receipt.message,
    pages = receipt.pages, transferred = receipt.transferred,
  }, data)
  finish(keys, id, job, options.retention)
  if before == 'in_doubt' then return 'resolved_doubt' end
  return 'applied'
end
