-- A record for a fax of which Redis knows nothing any more: it must not be sent again, and cannot be.
local LOST_CALL = { reason = ROLLED_BACK, message = 'Redis lost what it knew of this call' }

local function store_stand_in(options, item)
  local record = { v = options.layout, state = 'queued', kind = 'resend', priority = 'normal', attempt = '0', tries = '0',
    attempts = '1', in_doubt = 'hold', digest = LOST_DIGEST, created_at = int(item.at), n = '0',
    place = int(2 * STRIDE + item.at * 1000 - EPOCH_US) }
  local fields = {}
  for name, value in pairs(record) do
    table.insert(fields, name)
    table.insert(fields, value)
  end
  redis.call('HSET', keys.job .. item.job, unpack(fields))
  if options.ceiling_jobs > 0 then redis.call('HINCRBY', keys.account_state, 'taken', 1) end
  return read_record(keys.job .. item.job)
end
