-- iFax did not call again, so a failure that was held is the last. Where iFax is asked how faxes stand, the next word may be the
-- answer: it is waited for, though not for ever.
local function run_held(run)
  local options = run.options
  local function asks(id, job)
    local long = steady > asked_since(job) + 2 * options.deadline
    return options.asks == 1 and job.state == 'submitted' and not long and question_waits(id)
  end
  for _, id in ipairs(run.old and {} or due(run, keys.held, steady)) do
    local job = read_record(keys.job .. id, 'held')
    local receipt = job and job.held and job.held ~= '' and cjson.decode(job.held)
    local waits = receipt and (unread(run, tonumber(redis.call('ZSCORE', keys.held, id))) or asks(id, job))
    if waits then
      run.put_off = true
    else
      redis.call('ZREM', keys.held, id)
      if receipt then redis.call('HDEL', keys.job .. id, 'held') end
    end
    if receipt and not waits and job.job_id == receipt.job_id and (job.state == 'submitted' or job.state == 'unconfirmed') then
      receipt.last = true
      apply_receipt(options, id, job, receipt)
      table.insert(run.failures, { job = id, receipt = receipt })
      run.look = true
    end
  end
end

-- The wait of a doubt is over, so the job's policy applies. Of a fax that iFax keeps for a date no receipt comes before that: a
-- policy that sends it again, or fails it, waits as long after the date.
local function run_doubts(run)
  local options, account = run.options, run.account
  for _, id in ipairs(run.old and {} or due(run, keys.in_doubt, steady)) do
    local job = read_record(keys.job .. id)
    local open = job and job.state == 'in_doubt'
    local policy = open and (job.in_doubt or options.then_)
    if policy == 'resend' and job.tries >= options.tries then policy = 'hold' end
    local over = open and policy ~= 'hold' and (tonumber(job.send_at) or 0) + options.doubt or now
    if over > now then
      redis.call('ZADD', keys.in_doubt, int(steady + over - now), id)
      ring_by(account, over)
    elseif open and policy ~= 'hold' and word_waits(run, job, id) then
      run.put_off = true
    else
      redis.call('ZREM', keys.in_doubt, id)
      local undecided = policy == 'fail' and job.doubted or nil -- nobody had it sent again, also if the older one fails
      if policy and policy ~= 'hold' and fall_back_on_older(account, options, id, job, { undecided = undecided }, true) then
        note_change(run, id, 'fax.submitted', 'in_doubt')
      elseif policy == 'resend' then
        retry(account, options, id, job, { reason = 'in_doubt' }, 0, {})
        note_change(run, id, 'fax.retrying', 'in_doubt')
        run.look = true
      elseif policy == 'fail' then
        fail(options, id, job, { reason = 'in_doubt' }, {})
        note_change(run, id, 'fax.failed', 'in_doubt')
      elseif policy then
        redis.call('ZADD', keys.in_doubt, '+inf', id) -- held for an operator
      end
    end
  end
end

-- Doubts that no receipt can settle any more are deleted. One that came in time may wait, as where nobody ran for hours.
local function run_doubts_until(run)
  local options = run.options
  for _, member in ipairs(due(run, keys.doubts_until, steady)) do
    local number, id = string.match(member, '^([^|]*)|[^|]*|(.*)$')
    if redis.call('HGET', keys.job .. id, 'state') == 'in_doubt' then -- held: a receipt may still settle it
      redis.call('ZADD', keys.doubts_until, int(steady + options.deadline), member)
    elseif unread(run, tonumber(redis.call('ZSCORE', keys.doubts_until, member))) or untried(run, number) then
      redis.call('ZADD', keys.doubts_until, int(steady + options.sweep), member)
    else
      forget_doubt(member)
    end
  end
end
