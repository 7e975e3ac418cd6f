-- Whether receipts wait to be read that may have come before a doubt or a held failure was due, at `over`. The ids of a
-- stream tell no time once Redis' clock has stepped. So the newest receipt that waits is noted: once it is read, all
-- earlier ones are.
local unread
do
  local function is_later_id(a, b)
    local a_ms, a_n, b_ms, b_n = string.match(a .. ' ' .. b, '^(%d+)-(%d+) (%d+)-(%d+)')
    a_ms, b_ms = tonumber(a_ms), tonumber(b_ms)
    return a_ms > b_ms or a_ms == b_ms and tonumber(a_n) > tonumber(b_n)
  end

  function unread(run, over)
    if waits_aside('status') then return true end
    local oldest = redis.call('XRANGE', keys.status, '-', '+', 'COUNT', 1)[1]
    if not oldest then return false end
    local noted = redis.call('HMGET', keys.account_state, 'words', 'words_at')
    local all_read = noted[1] and is_later_id(oldest[1], noted[1])
    if all_read and over <= tonumber(noted[2]) then return false end
    if all_read or not noted[1] then
      local newest = redis.call('XREVRANGE', keys.status, '+', '-', 'COUNT', 1)[1]
      redis.call('HSET', keys.account_state, 'words', newest[1], 'words_at', int(steady))
    end
    return true
  end
end

-- Whether a receipt to this number waits that was not compared with the doubts.
local untried
do
  -- The recipient of a receipt that was not compared with the doubts yet, or is due to be compared again; else nil.
  local function untried_to(run, job_id)
    local options = run.options
    local text, score = redis.call('GET', keys.job_ids .. job_id), redis.call('ZSCORE', keys.unmatched, job_id)
    local receipt = score and is_receipt(text) and cjson.decode(text)
    local due = receipt and (tonumber(receipt.due) or receipt.at + options.lease + options.sweep)
    return receipt and tonumber(score) <= math.max(due, steady) and receipt.to or nil
  end

  local UNTRIED_LOOK = 20
  -- run.next_to: recipients of the next receipts to be compared: an older process does not index receipts by recipient, and
  -- nobody those that are due to be compared again. run.behind: there are more of these than are looked at.
  local function look_at_next(run)
    local options = run.options
    local until_ms = int(steady + options.lease + (options.upload or 0) + options.sweep)
    local next_ones = redis.call('ZRANGEBYSCORE', keys.unmatched, '-inf', until_ms, 'WITHSCORES', 'LIMIT', 0, UNTRIED_LOOK)
    run.next_to = {}
    for i = 1, #next_ones, 2 do run.next_to[tail_of(untried_to(run, next_ones[i]) or '')] = true end
    run.behind = #next_ones == 2 * UNTRIED_LOOK and tonumber(next_ones[#next_ones]) <= steady
  end

  function untried(run, number)
    if not number then return false end
    if not run.next_to then look_at_next(run) end
    local known = redis.call('SRANDMEMBER', untried_of(number), UNTRIED_LOOK)
    for _, job_id in ipairs(known) do
      if untried_to(run, job_id) then return true end
      redis.call('SREM', untried_of(number), job_id) -- an older process tried it, or nobody did in its time
    end
    return #known == UNTRIED_LOOK or run.behind or run.next_to[tail_of(number)] or false
  end
end

-- Whether iFax is being asked about the job, or is due to be.
local function question_waits(id)
  local at = tonumber(redis.call('ZSCORE', keys.polls, id) or nil)
  return at and (at <= steady or is_asked(id))
end

-- Whether a receipt about a doubt may have come in time, and was not read, or not compared with the doubts.
local function word_waits(run, job, id)
  if unread(run, tonumber(redis.call('ZSCORE', keys.in_doubt, id))) then return true end
  if job.named and question_waits(id) then return true end
  return untried(run, job.number)
end
