-- After a failure that has a number (`redial`) iFax may call again by itself, and nothing says which failure is the last.
-- So such a failure is held, and is the last if no other receipt comes in time. A resend before that could send the fax
-- twice.
local function may_redial(options, receipt)
  return receipt.outcome == 'failed' and receipt.redial and not receipt.last and options.redial_wait > 0
end

local function hold_failure(options, id, receipt)
  local held = redis.call('HGET', keys.job .. id, 'held')
  held = held and held ~= '' and cjson.decode(held)
  if held and held.job_id == receipt.job_id and held.redial >= receipt.redial then return end -- a repeat
  local kept = {}
  for name, value in pairs(receipt) do
    if name ~= 'to' and name ~= 'sender' then kept[name] = value end
  end
  redis.call('HSET', keys.job .. id, 'held', cjson.encode(kept))
  redis.call('ZADD', keys.held, int(steady + options.redial_wait), id)
  ring_by_alarm(now + options.redial_wait)
end
