-- The doubts by recipient, so that a receipt whose jobId nobody knows finds the request it may answer: members
-- number|admitted_at|job, all of one score, so in the order of the number, then of the time.
local function doubt_of(job, id)
  return (job.number or '') .. '|' .. string.format('%015.0f', tonumber(job.admitted_at)) .. '|' .. id
end

-- The field of the record that holds the doubt of one attempt, so that its late answer finds it.
local function doubt_field(token) return 'doubt:' .. token end

local function forget_doubt(keys, member)
  redis.call('ZREM', keys.doubts, member)
  redis.call('ZREM', keys.doubts_until, member)
end

-- Whether a receipt {sender, started (s), pages} may be the word on a request sent at `sent` (ms): the same sender
-- where both are known; begun while the request lived, give or take what two clocks may differ; and the pages
-- that were sent, or more where a cover page may have been added.
local function fits(receipt, job, sent, options)
  if receipt.sender and job.sender and receipt.sender ~= job.sender then return false end
  local started = receipt.started and receipt.started * 1000
  if started and (started < sent - options.clock_slack or started > sent + options.lease + options.clock_slack) then
    return false
  end
  local pages = tonumber(job.known_pages)
  if not receipt.pages or not pages then return true end
  return receipt.pages == pages or (receipt.pages > pages and job.cover == '1')
end

-- The oldest doubt that a receipt fits: its member, the job's id and record.
local function find_doubt(keys, receipt, options)
  if not receipt.to then return nil end
  local range = { '[' .. receipt.to .. '|', '(' .. receipt.to .. '}' }
  for _, member in ipairs(redis.call('ZRANGEBYLEX', keys.doubts, range[1], range[2])) do
    local sent, id = string.match(member, '^[^|]*|([^|]*)|(.*)$')
    local job = read_record(keys.job .. id)
    if not job then
      forget_doubt(keys, member)
    elseif fits(receipt, job, tonumber(sent), options) then
      return member, id, job
    end
  end
end
