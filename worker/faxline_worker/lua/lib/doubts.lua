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

-- The doubt that a receipt fits: of the job whose doubt is the oldest, and of its attempts the one nearest in time.
-- Its member, the job's id and record.
local function find_doubt(keys, receipt, options)
  if not receipt.to then return nil end
  local found, nearest, found_id, found_job
  local range = { '[' .. receipt.to .. '|', '(' .. receipt.to .. '}' }
  for _, member in ipairs(redis.call('ZRANGEBYLEX', keys.doubts, range[1], range[2])) do
    local sent, id = string.match(member, '^[^|]*|([^|]*)|(.*)$')
    local job = (not found or id == found_id) and read_record(keys.job .. id)
    local away = receipt.started and math.abs(receipt.started * 1000 - tonumber(sent)) or 0
    if job == nil then
      forget_doubt(keys, member)
    elseif job and fits(receipt, job, tonumber(sent), options) and (not found or away < nearest) then
      found, nearest, found_id, found_job = member, away, id, job
    end
  end
  return found, found_id, found_job
end
