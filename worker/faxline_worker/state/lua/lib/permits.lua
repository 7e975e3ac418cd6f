-- The names of permits in `permits`: token|job (or token|control call) while a call holds one, and token| if nobody holds it
-- any more but its request may still live.
local function permit_of(token, id) return token .. '|' .. (id or '') end
local function held_for(permit) return string.match(permit, '^[^|]*|(.+)$') end
