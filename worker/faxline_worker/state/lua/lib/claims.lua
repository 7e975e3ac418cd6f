-- An operator may say under which jobId iFax took a fax (`resolve`; the record has it as `claimed`), and so may an unclear answer
-- of iFax's (`named`), whatever became of the job since. If a word under that jobId names another number, it is of another fax.
local function is_of_another(job, job_id, to)
  local said = job.claimed == job_id or string.match(job.named or '', '^[1-9]%d* (%d+)$') == job_id
  return to and said and job.number and not same_number(to, job.number)
end

-- The job is in doubt again, as it was before that; or submitted by another attempt, if iFax is known to have taken one.
local function doubt_again(options, id, job)
  local account = {}
  for _, key in ipairs({ keys.submitted, keys.polls, keys.held }) do redis.call('ZREM', key, id) end
  if job.also then enter_doubt(options, job, doubt_of(job, id)) end
  if fall_back_on_older(account, options, id, job, { claimed = '', undecided = job.doubted }, true) then return end
  doubt(account, options, id, job, { reason = 'other_number', message =
    'the jobId that an operator named is of a fax to another number' }, job.doubted, { job_id = false, claimed = '' })
  if job.canceling then answer_cancel(options, id, job, { reason = 'in_doubt' }) end
end
