-- Whether a job of an entry is new, a repeat, or refused.

local are_known, any_known, refusal
do
  -- If Redis lost the stretch in which a fax was sent, only its id is known (recover). Whatever is pushed under that id
  -- counts as a repeat, because the fax must not go out again.
  local function is_same(held, digest) return held == digest or held == LOST_DIGEST end

  -- Whether all of these jobs are known, each with the same content.
  function are_known(jobs)
    for _, job in ipairs(jobs or {}) do
      if not is_same(redis.call('HGET', keys.job .. job.id, 'digest'), job.digest) then return false end
    end
    return jobs ~= nil
  end

  -- Whether any job of the pending items has a record. Usually none has, and one command tells.
  function any_known(items, pending)
    local records = {}
    for _, item in ipairs(items) do
      for _, job in ipairs(pending[item.entry] and item.jobs or {}) do records[#records + 1] = keys.job .. job.id end
    end
    for i = 1, #records, 2000 do
      if redis.call('EXISTS', unpack(records, i, math.min(#records, i + 1999))) > 0 then return true end
    end
    return false
  end

  -- A resend takes its request and its recipient from the job that it names. Returns the rejection if that is not possible.
  local function take_from_origin(batch, job)
    local origin = batch.fresh[job.of] and {} or read_record(keys.job .. job.of)
    local job_id = origin and (origin.job_id or origin.resend_of)
    if not origin then
      return { job = job.id, member = 'of', reason = 'unknown_job', message = 'no such job on this account' }
    elseif not job_id then
      return { job = job.id, member = 'of', reason = 'unknown_job', message = 'that job has no iFax jobId to resend' }
    elseif is_guess(job.of, job_id) then
      return { job = job.id, member = 'of', reason = 'unknown_job',
        message = 'which iFax jobId that job has was found by number and time alone, and it may be of another fax: send it anew' }
    end
    local fields = job.fields
    fields.request = resend_request(job_id, fields.number or origin.kind == 'resend' and origin.number)
    fields.number = fields.number or origin.number
    for _, name in ipairs({ 'sender', 'known_pages', 'cover' }) do fields[name] = origin[name] end
    return nil
  end

  -- nil: the job is new. 'repeated': it is known with the same content. A table: the rejection of the whole entry.
  function refusal(batch, job)
    local fresh = batch.fresh[job.id]
    local held = fresh and fresh.digest or batch.some_known and redis.call('HGET', keys.job .. job.id, 'digest')
    if held then
      job.known_again = held == LOST_DIGEST and read_record(keys.job .. job.id) ~= nil -- here, because it may refuse
      if is_same(held, job.digest) then return 'repeated' end
      return { job = job.id, member = 'id', reason = 'id_reused',
        message = 'this id belongs to a job with other content; take a new id' }
    end
    return job.of and take_from_origin(batch, job) or nil
  end
end
