"""HTTP as API Gateway's REST proxy brings it: requests, answers and problem details."""
