-- offer: a process publishes the settings by which it works, at its start and now and then. The strictest of all that are
-- published hold in every script, whatever its caller's own options are (lib/offers.lua). Settings that no process
-- publishes any more lapse once the last call that was made by them has left its window, so that nothing is loosened
-- before.
-- include: clock offers
-- ARGV  JSON options, who offers them, for how long (ms) it is believed to be at work, the steady clock as the caller knows
--       it (ms, or empty)
-- reply JSON {offers = {settings = {until (ms), by = {who: when (ms) it offered them}}}, steady (ms)}
local function write_offer(settings)
  local words = {}
  for i, name in ipairs(OFFERED) do words[i] = name == 'then_' and settings[name] or int(settings[name]) end
  return table.concat(words, ' ')
end

local MOST = 50 -- processes of one offer that are named
local options, who, believed = cjson.decode(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local stored = redis.call('HMGET', keys.account_state, 'layout', 'seen', 'skew', 'offers')
refuse_newer(stored[1])
keep_steady(stored[2], stored[3], ARGV[4])

local mine, strictest, offers = write_offer(options), read_offer(write_offer(options)), {}
local before = cjson.decode(stored[4] or '{}')
before[mine] = before[mine] or { by = {} }
before[mine]['until'] = steady + believed + options.lease + (options.upload or 0)
  + (options.requests > 0 and options.window / 1000 or 0)
for text, offer in pairs(before) do
  local settings, by, named = read_offer(text), {}, 0
  if offer['until'] > steady then
    for name, at in pairs(offer.by) do
      if name ~= who and at + believed > steady and named < MOST then by[name], named = at, named + 1 end
    end
    if text == mine then by[who] = steady end
    offers[text] = { ['until'] = offer['until'], by = by }
    if settings then take_stricter(strictest, settings) end
  end
end
redis.call('HSET', keys.account_state, 'strictest', write_offer(strictest), 'offers', cjson.encode(offers), 'seen',
  int(TIME_US))
return reply_at({ offers = offers })
