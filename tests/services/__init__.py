"""The one provider of PostgreSQL and Kafka for tests: the environment, else Docker, else processes of this machine.

Each service is started by the first test that asks for it and shared by all workers of a run; `conftest.py` ends it
with the run. What cannot be had fails the test with one line that says what to do: nothing is skipped.
"""
