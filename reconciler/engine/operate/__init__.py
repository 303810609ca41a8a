"""What operators ask for, as use cases: command line, requests and a web API all call these. Effects: as each says."""
