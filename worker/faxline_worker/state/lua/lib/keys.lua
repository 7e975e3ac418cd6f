-- The names of the account's keys, as redis_keys.py has them. Every script of an account declares two: KEYS[1] is the
-- prefix of the account's keys, which is never a key itself, and KEYS[2] is the account's hash (ARCHITECTURE.md, Keys).
-- This piece stands in front of every such script. `keys.ready` is a key; `keys.job` ends in a colon, and an id follows.
local keys
do
  local NAMES = {
    intake = 'intake', status = 'status', orders = 'orders', events = 'events', audit = 'audit', dead = 'dead',
    doorbell = 'doorbell', lost = 'lost', past = 'past', ready = 'ready', delayed = 'delayed', submitted = 'submitted',
    in_doubt = 'in_doubt', expiring = 'expiring', scheduled = 'scheduled', held = 'held', permits = 'permits',
    answers = 'answers', wakes = 'wakes', polls = 'polls', asks = 'asks', lines = 'lines', lines_until = 'lines-until',
    waiting = 'waiting', unmatched = 'unmatched', doubts = 'doubts', doubts_until = 'doubts-until',
    document_uses = 'document-uses', released = 'released', outdated = 'outdated', reconcile_wake = 'reconcile-wake',
    archive = 'archive', archive_forget = 'archive-forget', archive_checkpoint = 'archive-checkpoint',
    maintenance_lock = 'chore', -- an older name, kept for mixed versions
    job = 'job:', job_ids = 'jobid:', group = 'group:', document = 'document:', upload = 'upload:', reply = 'reply:',
    read_alone = 'read:', untried = 'untried:', received = 'received:', forgotten = 'forgotten:',
  }
  -- A key is named when a script first asks for it, since most use a few of them. A name that is not in the list raises.
  keys = setmetatable({ account_state = KEYS[2] }, { __index = function(known, name)
    known[name] = KEYS[1] .. NAMES[name]
    return known[name]
  end })
end
