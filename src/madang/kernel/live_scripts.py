"""What Redis does in one go (Lua): each keeps records and the set of their names (KEYS[1]) together.

ARGV[1] is the site's prefix, which every record's key has in front and its name has not.
"""

from __future__ import annotations

# milliseconds, then name, value, name, value ...
PUT = """
for i = 3, #ARGV, 2 do
    redis.call('SET', ARGV[1] .. ARGV[i], ARGV[i + 1], 'PX', ARGV[2])
    redis.call('ZADD', KEYS[1], 0, ARGV[i])
end
"""

# name
DELETE = """
redis.call('DEL', ARGV[1] .. ARGV[2])
redis.call('ZREM', KEYS[1], ARGV[2])
"""

# milliseconds, name -> the count
COUNT = """
local key = ARGV[1] .. ARGV[3]
local value = redis.call('GET', key)
if value then
    local count = math.floor(tonumber(value) or 0) + 1
    redis.call('SET', key, string.format('%d', count), 'KEEPTTL')
    return count
end
redis.call('SET', key, '1', 'PX', ARGV[2])
redis.call('ZADD', KEYS[1], 0, ARGV[3])
return 1
"""

# milliseconds, holder, then names -> those that are the holder's now
HOLD = """
local mine = {}
for i = 4, #ARGV do
    local holder = redis.call('GET', ARGV[1] .. ARGV[i])
    if not holder or holder == ARGV[3] then
        redis.call('SET', ARGV[1] .. ARGV[i], ARGV[3], 'PX', ARGV[2])
        redis.call('ZADD', KEYS[1], 0, ARGV[i])
        mine[#mine + 1] = ARGV[i]
    end
end
return mine
"""

# holder, then names
RELEASE = """
for i = 3, #ARGV do
    if redis.call('GET', ARGV[1] .. ARGV[i]) == ARGV[2] then
        redis.call('DEL', ARGV[1] .. ARGV[i])
        redis.call('ZREM', KEYS[1], ARGV[i])
    end
end
"""

_EACH_OF_A_RANGE = """
local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local found = {#names, names[#names] or ''}
for _, name in ipairs(names) do
    %s
        redis.call('ZREM', KEYS[1], name)
    end
end
return found
"""

# least name, largest name, how many -> how many names there were, the last of them, name, value, name, value ...
GET_MANY = _EACH_OF_A_RANGE % (
    """local value = redis.call('GET', ARGV[1] .. name)
    if value then
        found[#found + 1] = name
        found[#found + 1] = value
    else"""
)

# The same without values: only what expired is removed.
CLEAN = _EACH_OF_A_RANGE % "if redis.call('EXISTS', ARGV[1] .. name) == 0 then"

ALL = {
    "put": PUT,
    "delete": DELETE,
    "count": COUNT,
    "hold": HOLD,
    "release": RELEASE,
    "get_many": GET_MANY,
    "clean": CLEAN,
}
