"""Recognise errors that a new AWS login would fix."""

from botocore.exceptions import ClientError, CredentialRetrievalError, SSOError, TokenRetrievalError

LOG_IN = "your AWS login has expired or is invalid: log in again, then repeat the command"
_CODES = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
}


def is_invalid_login(error: Exception) -> bool:
    """Whether every other call would fail for the same reason."""
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"] in _CODES
    return isinstance(error, CredentialRetrievalError | SSOError | TokenRetrievalError)
