-- What iFax says of a request of the job beside the last one. The record keeps it under `also:` and the jobId: '1' until it is
-- known how that request ended, and then how it did. `also` names the one whose word the job waits for.

-- Whether the receipt of an older attempt came while this one was under way, and says that the fax was delivered.
local function is_delivered_before(id, job)
  local early = job.also and redis.call('GET', keys.job_ids .. job.also)
  early = is_receipt(early) and cjson.decode(early)
  return early and early.of == id and early.outcome == 'delivered'
end

local tell_other
do
  -- A fax of the job that does not count: iFax took it beside another, or it ended otherwise than the job did. It is told, and
  -- the record keeps what is known of it under `also:` and its jobId. receipt: how it ended, or nil.
  local UNSENT = { failed = true, canceled = true }
  local TOLD = { 'outcome', 'code', 'reason', 'pages', 'transferred', 'charged' }
  function tell_other(options, id, job, job_id, receipt)
    local data, known = receipt and receipt_facts(receipt) or {}, '1'
    if receipt then
      for _, name in ipairs(TOLD) do data[name] = receipt[name] end
      known = cjson.encode({ outcome = receipt.outcome, pages = receipt.pages, transferred = receipt.transferred, at = now })
      if receipt.outcome == 'delivered' and UNSENT[job.state] then receipt.after = job.state end
    end
    redis.call('HSET', keys.job .. id, 'also:' .. job_id, known)
    data.state, data.attempt = job.state, job.attempt
    tell_cause(job, data)
    job.event = emit(options.cap, 'fax.duplicate', id, to_json(data, job_id, job.metadata))
  end
end

-- The jobId of another request of the job, but for this one, whose end is not known; or the empty text.
local function next_other(id, job_id)
  local all = redis.call('HGETALL', keys.job .. id)
  for i = 1, #all, 2 do
    local other = all[i + 1] == '1' and string.match(all[i], '^also:(.*)$')
    if other and other ~= job_id then return other end
  end
  return ''
end

-- A word on an older request, while another is under way, or after which iFax may call again. It ends the job if the other one
-- comes to nothing; if it says delivered, whatever that one comes to.
local function keep_word(options, id, job, receipt)
  receipt.of, job.also = id, receipt.job_id
  redis.call('SET', keys.job_ids .. receipt.job_id, cjson.encode(receipt), 'PX', int(options.retention + options.deadline))
  redis.call('HSET', keys.job .. id, 'also', receipt.job_id)
  return 'held'
end

-- The word on an older request, whose delivery failed: it is waited for no longer.
local function fail_other(options, id, job, receipt)
  local waited_for = job.also == receipt.job_id
  local named = job.undecided and job.named == int(job.attempt) .. ' ' .. receipt.job_id
  if not waited_for and not named and redis.call('HGET', keys.job .. id, 'also:' .. receipt.job_id) ~= '1' then return 'repeated' end
  if may_redial(options, receipt) then return keep_word(options, id, job, receipt) end
  tell_other(options, id, job, receipt.job_id, receipt)
  if named then -- so iFax took the request that nobody decided about, and it came to nothing
    forget_doubt(redis.call('HGET', keys.job .. id, doubt_field(job.undecided)) or '')
    redis.call('HSET', keys.job .. id, 'undecided', '')
    job.undecided = nil
  end
  if waited_for then
    local other = next_other(id, receipt.job_id)
    redis.call('HSET', keys.job .. id, 'also', other)
    job.also = other ~= '' and other or nil
  end
  return 'told'
end
