-- The doubts by recipient, so that a receipt with an unknown jobId finds the request that it may answer. The members are
-- number|admitted_at|job with one score, so they are ordered by number and then by time.
local function doubt_of(job, id)
  return (job.number or '') .. '|' .. string.format('%015.0f', tonumber(job.admitted_at)) .. '|' .. id
end

-- The field of the record that holds the doubt of one attempt, so that its late answer finds it.
local function doubt_field(token) return 'doubt:' .. token end

local function forget_doubt(member)
  redis.call('ZREM', keys.doubts, member)
  redis.call('ZREM', keys.doubts_until, member)
end

local find_doubt
do
  -- Whether a receipt {sender, started (s), pages} may be about a request that was sent at `sent` (ms): the senders agree if
  -- both are known; the call began while the request lived, give or take what two clocks may differ; and the pages are those
  -- that were sent (a number, or a range such as 10-16), or more if a cover page may have been added.
  local function fits(receipt, job, sent, options)
    local lived = math.max(options.lease, (tonumber(job.lease) or 0) - (tonumber(job.granted_at) or 0))
    if receipt.sender and job.sender and not same_number(receipt.sender, job.sender) then return false end
    local started = receipt.started and receipt.started * 1000
    if started and (started < sent - options.clock_slack or started > sent + lived + options.clock_slack) then
      return false
    end
    local least, most = string.match(job.known_pages or '', '^(%d+)%-?(%d*)$')
    if not receipt.pages or not least then return true end
    if receipt.pages < tonumber(least) then return false end
    return job.cover == '1' or receipt.pages <= (tonumber(most) or tonumber(least))
  end

  -- The doubts of one recipient that a receipt may be about, the oldest MOST_DOUBTS of them.
  local MOST_DOUBTS = 1000
  local function doubts_to(number, receipt, options)
    local from, to = number .. '|', number .. '}'
    if receipt.started then -- those that were sent when it fits
      local at = receipt.started * 1000
      from = from .. string.format('%015.0f', math.max(0, at - options.clock_slack - options.lease - (options.upload or 0)))
      to = number .. '|' .. string.format('%015.0f', math.max(0, at + options.clock_slack)) .. '}'
    end
    return redis.call('ZRANGEBYLEX', keys.doubts, '[' .. from, '(' .. to, 'LIMIT', 0, MOST_DOUBTS)
  end

  local function fitting(members, receipt, options, looks)
    local found, nearest, found_id
    for _, member in ipairs(members) do
      local number, sent, id = string.match(member, '^([^|]*)|([^|]*)|(.*)$')
      if (not found or id == found_id) and same_number(number, receipt.to) then
        looks.count = looks.count + 1
        local values = redis.call('HMGET', keys.job .. id, 'state', 'sender', 'known_pages', 'cover', 'lease', 'granted_at')
        local job = { sender = values[2], known_pages = values[3], cover = values[4], lease = values[5], granted_at = values[6] }
        for name, value in pairs(job) do if value == '' then job[name] = nil end end
        local away = receipt.started and math.abs(receipt.started * 1000 - tonumber(sent)) or 0
        if not values[1] then
          forget_doubt(member)
        elseif fits(receipt, job, tonumber(sent), options) and (not found or away < nearest) then
          found, nearest, found_id = member, away, id
        end
      end
    end
    return found, found_id
  end

  -- The doubt that a receipt fits: of the job with the oldest doubt, and of its attempts the one nearest in time. Returns its
  -- member, the job's id and the record. looks.count is raised by the doubts that were looked at. First the recipient as the
  -- receipt has it, then with the country that is known to be left out, then any with the same last digits.
  function find_doubt(receipt, options, looks)
    if not receipt.to then return nil end
    local digits = digits_of(receipt.to)
    local found, id = fitting(doubts_to('+' .. digits, receipt, options), receipt, options, looks)
    if not found and #digits == 10 then
      found, id = fitting(doubts_to('+1' .. digits, receipt, options), receipt, options, looks)
    end
    if not found then
      local any = redis.call('ZRANGEBYLEX', keys.doubts, '-', '+', 'LIMIT', 0, MOST_DOUBTS)
      found, id = fitting(any, receipt, options, looks)
    end
    return found, id, found and read_record(keys.job .. id)
  end
end
