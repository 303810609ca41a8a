"""A real Docker Swarm, Engine 20.10 to current, through the Engine API and `docker stack deploy`."""
