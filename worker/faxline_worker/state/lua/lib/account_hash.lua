-- The account's hash: how a script reads and writes what is known of the account as a whole.

-- options: the caller's, or nil; they become as strict as any that is offered. estimate: the steady clock as the caller knows
-- it (lib/steady.lua), or nothing; this sets the clock.
local function read_account(options, estimate)
  local values = redis.call('HMGET', keys.account_state, 'bucket', 'bucket_at', 'gate', 'gated_at', 'gates', 'paused',
    'paused_at', 'probes', 'probe_at', 'share', 'share_at', 'strain', 'waits', 'alarm', 'seconds', 'layout', 'seen', 'skew',
    'strictest', 'verify_until', 'unknown', 'unknowns', 'accepted', 'accepted_before', 'apart', 'asking', 'archive')
  if not newer(values[16]) then keep_steady(values[17], values[18], estimate) end
  take_strictest(options, values[19])
  local function number(i, otherwise) return tonumber(values[i]) or otherwise end
  return { bucket = number(1, 0), bucket_at = number(2, now_us), cooldown_until = number(3, 0), cooldown_at = number(4, 0),
    cooldowns = number(5, 0), paused = values[6] or '', paused_at = number(7, 0), probes = number(8, 0),
    probe_at = number(9, 0), limit_factor = number(10, 1), limit_factor_at = number(11, 0), concurrency_backoff = number(12, 0),
    waits = values[13] or '', alarm = number(14, 0), seconds = number(15, nil), noted_seconds = number(15, 0),
    newer = newer(values[16]), verify_until = number(20, 0), unknown = values[21] or '', unknowns = number(22, 0),
    accepted = values[23] or '', accepted_before = values[24] or '', apart = values[25] or '', asking = values[26] or '',
    archive = values[27] }
end

local save
do
  -- Fields whose stored names are older than the names used here, because older versions read them too.
  local STORED_AS = { cooldown_until = 'gate', cooldown_at = 'gated_at', cooldowns = 'gates', limit_factor = 'share',
    limit_factor_at = 'share_at', concurrency_backoff = 'strain' }

  -- Writes some fields of the account.
  function save(account, ...)
    local fields = {}
    for _, name in ipairs({ ... }) do
      local value = account[name]
      table.insert(fields, STORED_AS[name] or name)
      table.insert(fields, type(value) == 'number' and (name == 'limit_factor' and string.format('%.4f', value) or int(value))
        or value)
    end
    redis.call('HSET', keys.account_state, unpack(fields))
  end
end

local verify_until
do
  -- Until when (us) the account waits for every process to look at a new server. Not if a step of the clock showed only after
  -- that was set, and made it too long.
  local LONGEST_LOOK_US = 120000000
  function verify_until(account)
    return account.verify_until <= now_us + LONGEST_LOOK_US and account.verify_until or 0
  end
end

-- Pauses that only an operator ends: no probe goes, and no answer of iFax's ends them.
local ROLLED_BACK = 'state_rolled_back'
local ENDED_BY_OPERATOR = { operator = true, [ROLLED_BACK] = true }

-- Pauses for what only sending needs: the answer to a question (`poll`) does not end them.
local OF_SENDING = { insufficient_balance = true, no_permission = true }

-- Whether the state may be older than what was done. Then no policy, no date and no missing or unmatched receipt decides
-- about a job. Leases still run out: nothing is admitted meanwhile, and `examine` and `recover` know each call by its mark.
local function may_be_old(account) return account.paused == ROLLED_BACK or verify_until(account) > now_us end
