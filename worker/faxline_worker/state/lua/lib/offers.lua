-- The settings that all processes must share, so that no limit is exceeded and no fax is sent twice. Each process offers its
-- own as one text (`offer`), and the strictest of all that are offered hold: the fewest requests in the longest window, the
-- fewest calls at once, the smallest burst (0 is no limit); the longest lease, the longest time that the bytes of a call that
-- ended may need, the longest wait of a doubt; and doubts are held where the policies differ. Beyond what older processes
-- offer: the smallest share of the calls for questions (a millionth), and whether any process asks for results (1).
local OFFERED = { 'requests', 'window', 'concurrency', 'burst', 'lease', 'doubt', 'then_', 'linger', 'poll_share', 'asks' }
local read_offer
do
  local ALL_OFFER = 8 -- the first of them

  function read_offer(text)
    local settings, i = {}, 0
    for word in string.gmatch(text, '%S+') do
      i = i + 1
      if OFFERED[i] then settings[OFFERED[i]] = tonumber(word) or word end
    end
    return i >= ALL_OFFER and settings or nil
  end
end

-- Makes `settings` as strict as `other` in each member.
local function take_stricter(settings, other)
  local function least(name)
    local mine, theirs = settings[name], other[name]
    if theirs > 0 and (mine == 0 or theirs < mine) then settings[name] = theirs end
  end
  if other.requests > 0 and (settings.requests == 0 or other.window > settings.window) then
    settings.window = other.window
  end
  for _, name in ipairs({ 'requests', 'concurrency', 'burst' }) do least(name) end
  for _, name in ipairs({ 'lease', 'doubt', 'linger' }) do settings[name] = math.max(settings[name], other[name]) end
  settings.poll_share = math.min(settings.poll_share, other.poll_share or settings.poll_share)
  settings.asks = math.max(settings.asks, other.asks or 0)
  if settings.then_ ~= other.then_ then settings.then_ = 'hold' end
end

local function take_strictest(options, text)
  local strictest = options and text and read_offer(text)
  if strictest then take_stricter(options, strictest) end
end

-- For a script that reads nothing else of the account: sets the steady clock, and makes the options as strict as any offer.
-- estimate: the steady clock as the caller knows it (ms), or nothing.
local function read_strictest(options, estimate)
  local values = redis.call('HMGET', keys.account_state, 'seen', 'skew', 'strictest')
  keep_steady(values[1], values[2], estimate)
  take_strictest(options, values[3])
end
