"""The codes of the API's documentation, for the tests that hold something against them."""

RESPONSE_CODES = {
    1: "Success",
    0: "Fax processing started",
    -1: "General error",
    -2: "Invalid parameters",
    -3: "Authentication failed",
    -4: "Insufficient balance",
    -5: "Resource not found",
}
"""The response codes of iFax's documentation, word for word."""
ERROR_CODES = {
    -3001: "Invalid fax number",
    -3002: "Insufficient account balance",
    -3003: "Image does not exist",
    -3004: "TIFF file is empty",
    -3005: "File size exceeds maximum limit",
    -3006: "Invalid file format",
    -3007: "No permission for this action (user is not Primary)",
    -3008: "Recipient limit exceeded",
    -3009: "Invalid API key",
    -3010: "Rate limit exceeded",
}
"""The error codes of iFax's documentation, word for word; its 0, Success, is a response code as well."""
